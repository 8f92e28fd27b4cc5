// Package frameworks runs clients of frameworks over a pool whose connections are replaced all
// the time. docs/recipes.md shows what stands between the lines "// docs:" and "// end".
package frameworks
