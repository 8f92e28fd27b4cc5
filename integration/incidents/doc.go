// Package incidents stages what an operator may meet, in virtual time: for each the RPCs, a
// snapshot and the metrics say what docs/operations.md quotes of them, and the queries that
// stand there find it.
package incidents
