// Package worlds judges the law: in any world a pool loses no more RPCs, and makes none
// wait longer, than plain channels in the same world would, but for what a setting openly
// asks.
//
// A world is servers with habits and callers with habits, in virtual time. The same world
// is played to a pool and to plain channels, and the figures are compared. There is
// nothing here but tests:
//
//	go test ./internal/worlds                                          # a few worlds
//	go test -count=1 -timeout 0 ./internal/worlds -worlds 100000       # many
//	go test ./internal/worlds -run TestDrawnWorlds -v -seed 17         # one again
//
// A world is the same whenever its seed is drawn, but what gRPC and the pool leave to chance
// is not: a world that fails is played again until chance does not explain it.
package worlds
