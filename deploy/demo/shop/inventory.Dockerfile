FROM golang:1.26.8-bookworm AS build
WORKDIR /source
COPY go.mod main.go ./
RUN CGO_ENABLED=0 go build -trimpath -o /inventory .

FROM scratch
COPY --from=build /inventory /shop/inventory
USER 65534
CMD ["/shop/inventory"]
