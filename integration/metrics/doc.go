// Package metrics reads the metrics of a pool through OpenTelemetry: a scenario for each,
// in virtual time, in which it moves as docs/operations.md says.
package metrics
