// Jaeger 2 by its Go module, whose versions lag behind its releases by a number: v1.76.0 is 2.13.0.
// Built by xtask/src/setup/backends.rs into the cache folder, with the module's own go.sum.
module wirespan.io/jaeger

go 1.25.0

require github.com/jaegertracing/jaeger v1.76.0
