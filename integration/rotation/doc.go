// Package rotation replaces the certificates of both ends, and of the authorities that issue them,
// while RPCs run: what is new comes into use as connections reach their end of life.
package rotation
