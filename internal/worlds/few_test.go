//go:build !race

package worlds

const few = 150 // worlds
