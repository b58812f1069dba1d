package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/zipkin/zipkinv2"
	"github.com/openzipkin/zipkin-go/reporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// zipkinConfig has the fields that the published Zipkin exporter has, and refuses others as it does; it writes JSON only.
// Source: exporter/zipkinexporter/config.schema.yaml of opentelemetry-collector-contrib.
type zipkinConfig struct {
	confighttp.ClientConfig   `mapstructure:",squash"`
	configretry.BackOffConfig `mapstructure:"retry_on_failure"`

	Format             string `mapstructure:"format"`
	DefaultServiceName string `mapstructure:"default_service_name"`
}

// newZipkinFactory stands in for the Zipkin exporter: the same translation (contrib's own package), our own sending.
func newZipkinFactory() exporter.Factory {
	defaults := func() component.Config {
		return &zipkinConfig{ClientConfig: confighttp.NewDefaultClientConfig(), BackOffConfig: configretry.NewDefaultBackOffConfig(), Format: "json"}
	}
	create := func(ctx context.Context, settings exporter.Settings, config component.Config) (exporter.Traces, error) {
		sender := &zipkinSender{config: config.(*zipkinConfig), settings: settings}
		return exporterhelper.NewTraces(ctx, settings, config, sender.send,
			exporterhelper.WithStart(sender.start), exporterhelper.WithRetry(sender.config.BackOffConfig))
	}
	return exporter.NewFactory(component.MustNewType("zipkin"), defaults,
		exporter.WithTraces(create, component.StabilityLevelDevelopment))
}

type zipkinSender struct {
	config   *zipkinConfig
	settings exporter.Settings
	client   *http.Client
}

func (sender *zipkinSender) start(ctx context.Context, host component.Host) (err error) {
	sender.client, err = sender.config.ClientConfig.ToClient(ctx, host.GetExtensions(), sender.settings.TelemetrySettings)
	return err
}

func (sender *zipkinSender) send(ctx context.Context, traces ptrace.Traces) error {
	spans, err := zipkinv2.FromTranslator{}.FromTraces(traces)
	if err != nil {
		return consumererror.NewPermanent(err)
	}
	serializer := reporter.JSONSerializer{}
	body, err := serializer.Serialize(spans)
	if err != nil {
		return consumererror.NewPermanent(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, sender.config.ClientConfig.Endpoint, bytes.NewReader(body))
	if err != nil {
		return consumererror.NewPermanent(err)
	}
	request.Header.Set("Content-Type", serializer.ContentType())
	response, err := sender.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("Zipkin answered %s", response.Status)
	}
	return nil
}
