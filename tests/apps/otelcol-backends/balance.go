package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"sort"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// balanceConfig has the fields that the published load-balancing exporter has, and refuses others as it does.
// Source: exporter/loadbalancingexporter/config.schema.yaml of opentelemetry-collector-contrib.
type balanceConfig struct {
	exporterhelper.TimeoutConfig `mapstructure:",squash"`
	configretry.BackOffConfig    `mapstructure:"retry_on_failure"`

	Protocol struct {
		OTLP otlpexporter.Config `mapstructure:"otlp"`
	} `mapstructure:"protocol"`
	Resolver struct {
		Static *struct {
			Hostnames []string `mapstructure:"hostnames"`
		} `mapstructure:"static"`
		DNS *dnsConfig `mapstructure:"dns"`
	} `mapstructure:"resolver"`
	RoutingKey string `mapstructure:"routing_key"`
}

type dnsConfig struct {
	Hostname string        `mapstructure:"hostname"`
	Port     string        `mapstructure:"port"`
	Interval time.Duration `mapstructure:"interval"`
	Timeout  time.Duration `mapstructure:"timeout"`
}

func (config *balanceConfig) Validate() error {
	if (config.Resolver.Static == nil) == (config.Resolver.DNS == nil) {
		return errors.New("one resolver, static or dns")
	}
	if config.RoutingKey != "traceID" {
		return errors.New("here only traces are routed, by traceID")
	}
	return nil
}

// newBalanceFactory stands in for the load-balancing exporter: same name, same fields, its own way to choose.
// What both promise is all that tail sampling needs: whoever is told of the same back ends sends a trace to the same one.
func newBalanceFactory() exporter.Factory {
	defaults := func() component.Config {
		otlp := otlpexporter.NewFactory().CreateDefaultConfig().(*otlpexporter.Config)
		// Each back end's own takes its place.
		otlp.ClientConfig.Endpoint = "placeholder:4317"
		config := &balanceConfig{TimeoutConfig: exporterhelper.NewDefaultTimeoutConfig(), BackOffConfig: configretry.NewDefaultBackOffConfig(), RoutingKey: "traceID"}
		config.Protocol.OTLP = *otlp
		return config
	}
	create := func(ctx context.Context, settings exporter.Settings, config component.Config) (exporter.Traces, error) {
		return &balancer{config: config.(*balanceConfig), settings: settings}, nil
	}
	return exporter.NewFactory(component.MustNewType("loadbalancing"), defaults,
		exporter.WithTraces(create, component.StabilityLevelDevelopment))
}

// balancer sends each span to the back end of its trace.
type balancer struct {
	config   *balanceConfig
	settings exporter.Settings
	backends []exporter.Traces
}

func (balancer *balancer) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (balancer *balancer) Start(ctx context.Context, host component.Host) error {
	endpoints, err := balancer.endpoints(ctx)
	if err != nil {
		return err
	}
	factory := otlpexporter.NewFactory()
	for _, endpoint := range endpoints {
		config := balancer.config.Protocol.OTLP
		config.ClientConfig.Endpoint = endpoint
		settings := balancer.settings
		settings.ID = component.NewIDWithName(factory.Type(), endpoint)
		backend, err := factory.CreateTraces(ctx, settings, &config)
		if err != nil {
			return err
		}
		if err := backend.Start(ctx, host); err != nil {
			return err
		}
		balancer.backends = append(balancer.backends, backend)
	}
	return nil
}

// endpoints are the back ends in an order that does not depend on who asks.
func (balancer *balancer) endpoints(ctx context.Context) ([]string, error) {
	resolver := balancer.config.Resolver
	if resolver.Static != nil {
		sorted := append([]string{}, resolver.Static.Hostnames...)
		sort.Strings(sorted)
		return sorted, nil
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, resolver.DNS.Hostname)
	if err != nil {
		return nil, fmt.Errorf("resolve the gateways: %w", err)
	}
	sort.Strings(addresses)
	for at, address := range addresses {
		addresses[at] = net.JoinHostPort(address, resolver.DNS.Port)
	}
	return addresses, nil
}

func (balancer *balancer) Shutdown(ctx context.Context) error {
	var all error
	for _, backend := range balancer.backends {
		all = errors.Join(all, backend.Shutdown(ctx))
	}
	return all
}

func (balancer *balancer) ConsumeTraces(ctx context.Context, traces ptrace.Traces) error {
	var all error
	for at, part := range split(traces, len(balancer.backends)) {
		if part.SpanCount() > 0 {
			all = errors.Join(all, balancer.backends[at].ConsumeTraces(ctx, part))
		}
	}
	return all
}

// split copies each span, with its resource and scope, into the part of its trace.
func split(traces ptrace.Traces, count int) []ptrace.Traces {
	parts := make([]ptrace.Traces, count)
	for at := range parts {
		parts[at] = ptrace.NewTraces()
	}
	for _, resource := range traces.ResourceSpans().All() {
		for _, scope := range resource.ScopeSpans().All() {
			scopes := map[int]ptrace.ScopeSpans{}
			for _, span := range scope.Spans().All() {
				at := part(span.TraceID(), count)
				if _, known := scopes[at]; !known {
					fresh := parts[at].ResourceSpans().AppendEmpty()
					resource.Resource().CopyTo(fresh.Resource())
					fresh.SetSchemaUrl(resource.SchemaUrl())
					scopes[at] = fresh.ScopeSpans().AppendEmpty()
					scope.Scope().CopyTo(scopes[at].Scope())
					scopes[at].SetSchemaUrl(scope.SchemaUrl())
				}
				span.CopyTo(scopes[at].Spans().AppendEmpty())
			}
		}
	}
	return parts
}

func part(trace pcommon.TraceID, count int) int {
	return int(crc32.ChecksumIEEE(trace[:]) % uint32(count))
}
