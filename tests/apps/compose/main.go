// Reads a compose file as `docker compose config` does, by the library that it is made of: schema, interpolation, paths, dependencies.
// Prints what each service is started from.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	file := os.Args[1]
	options, err := cli.NewProjectOptions([]string{file}, cli.WithWorkingDirectory(filepath.Dir(file)))
	if err != nil {
		log.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, service := range project.Services {
		from := ""
		if service.Build != nil {
			from = filepath.Join(service.Build.Context, service.Build.Dockerfile)
		}
		fmt.Println("service", service.Name, service.Image, from)
		for _, volume := range service.Volumes {
			fmt.Println("mount", volume.Source)
		}
	}
}
