// Package docblocks compiles what the README and the docs show of Go, for tests.
package docblocks

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Block is what stands between fences.
type Block struct {
	File, Language, Text string
	Line                 int // of its first fence
}

// Foreign reports whether b needs modules beside the main one.
func (b Block) Foreign() bool { return foreign.MatchString(b.Text) }

// Quoted reports whether b is part of a test that runs it.
func (b Block) Quoted() bool { return b.File == "recipes.md" }

var foreign = regexp.MustCompile(`\b(opentelemetry|option|grpcpool|grpcgcp|pb|byAddress|pool\.(Init|New))\b`)

// Blocks returns what the README and the docs of the repository at root have.
func Blocks(t testing.TB, root string) (all []Block) {
	for _, file := range Files(t, root) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var open *Block
		for i, line := range strings.SplitAfter(string(text), "\n") {
			language, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
			switch {
			case isFence && open == nil:
				open = &Block{File: filepath.Base(file), Language: language, Line: i + 1}
			case isFence:
				all = append(all, *open)
				open = nil
			case open != nil:
				open.Text += line
			}
		}
		require.Nil(t, open, "%s: a fence is left open", file)
	}
	return all
}

// Files returns the README and the docs of the repository at root.
func Files(t testing.TB, root string) []string {
	files, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return append(files, filepath.Join(root, "README.md"))
}

// A Scope is what blocks may use without declaring it.
type Scope struct {
	Imports map[string]string // paths by name
	Given   string            // declarations
	Params  string            // of the function that a block is, unless it has its own
}

var (
	importLine = regexp.MustCompile(`(?m)^import .*\n`)
	declared   = regexp.MustCompile(`(?m)^(\w+(?:, \w+)*) :=`)
)

// program makes a whole program of a block, which may be part of a function.
func (s Scope) program(text string) string {
	if strings.HasPrefix(text, "package ") {
		return text
	}
	own := strings.Join(importLine.FindAllString(text, -1), "")
	body := importLine.ReplaceAllString(text, "")
	var head strings.Builder
	for name, path := range s.Imports {
		used := regexp.MustCompile(`(?m)(^|[^\w."/])` + name + `\.[A-Z]`).MatchString(body + s.Given + s.Params)
		if used && !strings.Contains(own, `"`+path+`"`) {
			fmt.Fprintf(&head, "import %s %q\n", name, path)
		}
	}
	var used strings.Builder
	for _, names := range declared.FindAllStringSubmatch(body, -1) {
		for name := range strings.SplitSeq(names[1], ", ") {
			if name != "_" {
				used.WriteString("_ = " + name + "\n")
			}
		}
	}
	body += used.String()
	if !strings.Contains(body, "\nfunc ") && !strings.HasPrefix(strings.TrimSpace(body), "func ") {
		body = "func block(" + s.Params + ") {\n" + body + "}\n"
	}
	return "package main\n" + head.String() + own + s.Given + body + "\nfunc main() {}\n"
}

// Compile builds blocks as programs of the module that the test is in.
func (s Scope) Compile(t testing.TB, blocks ...Block) {
	require.NotEmpty(t, blocks)
	dir := t.TempDir()
	root, err := filepath.Abs(".")
	require.NoError(t, err)
	overlay := map[string]string{}
	var packages []string
	for i, b := range blocks {
		file := filepath.Join(dir, fmt.Sprint(i, ".go"))
		source := fmt.Sprintf("//line %s:%d\n%s", b.File, b.Line, s.program(b.Text))
		require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
		name := fmt.Sprintf("block%d", i)
		overlay[filepath.Join(root, name, "main.go")] = file
		packages = append(packages, "./"+name)
	}
	js, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	list := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(list, js, 0o600))
	out, err := exec.Command("go", append([]string{"build", "-o", os.DevNull, "-overlay", list}, packages...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
