//go:build race

package worlds

const few = 30 // worlds
