// Docker Compose by its Go module. Built by xtask/src/setup/backends.rs into the cache folder, with the module's own go.sum.
module wirespan.io/compose

go 1.26.3

require github.com/docker/compose/v5 v5.5.1
