FROM maven:3.9.11-eclipse-temurin-17 AS build
WORKDIR /source
COPY pom.xml ./
COPY src ./src
RUN mvn --quiet --batch-mode -DskipTests -Dbuild.folder=/built package

FROM eclipse-temurin:17.0.17_10-jre
COPY --from=build /built/order.jar /shop/order.jar
USER nobody
CMD ["java", "-XX:+UseSerialGC", "-Xmx96m", "-jar", "/shop/order.jar"]
