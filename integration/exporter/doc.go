// Package exporter sends spans with OpenTelemetry's own OTLP exporter, which is given
// the policy's name in a service config and nothing else.
package exporter
