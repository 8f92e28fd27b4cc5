// Package docblocks compiles what the README and the docs show of Go.
package docblocks

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool"
)

// A block is what stands between fences.
type block struct {
	file, language, text string
	line                 int
}

func blocks(t *testing.T) (all []block) {
	files, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var open *block
		for i, line := range strings.SplitAfter(string(text), "\n") {
			language, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
			switch {
			case isFence && open == nil:
				open = &block{file: filepath.Base(file), language: language, line: i + 1}
			case isFence:
				all = append(all, *open)
				open = nil
			case open != nil:
				open.text += line
			}
		}
		require.Nil(t, open, "%s: a fence is left open", file)
	}
	return all
}

// What blocks may use without declaring it.
const given = `
var creds = grpc.WithTransportCredentials(insecure.NewCredentials())
var mux = http.NewServeMux()
var endpoint grpcresolver.Endpoint
`

var imports = map[string]string{
	"grpc":     "google.golang.org/grpc",
	"insecure": "google.golang.org/grpc/credentials/insecure",
	"http":     "net/http",
	"log":      "log",
	"fmt":      "fmt",
	"time":     "time",
	"subpool":  "github.com/grpc-subpool/subpool",
	"inspect":  "github.com/grpc-subpool/subpool/inspect",
	"page":     "github.com/grpc-subpool/subpool/page",
	"picker":   "github.com/grpc-subpool/subpool/picker",
	"resolver": "github.com/grpc-subpool/subpool/resolver",
	"base":     "google.golang.org/grpc/balancer/base",

	"grpcresolver": "google.golang.org/grpc/resolver",
}

var (
	importLine = regexp.MustCompile(`(?m)^import .*\n`)
	declared   = regexp.MustCompile(`(?m)^(\w+(?:, \w+)*) :=`)
)

// program makes a whole program of a block, which may be part of a function.
func program(text string) string {
	if strings.HasPrefix(text, "package ") {
		return text
	}
	own := strings.Join(importLine.FindAllString(text, -1), "")
	body := importLine.ReplaceAllString(text, "")
	var head strings.Builder
	for name, path := range imports {
		used := regexp.MustCompile(`(?m)(^|[^\w."/])` + name + `\.[A-Z]`).MatchString(body + given)
		if used && !strings.Contains(own, `"`+path+`"`) {
			fmt.Fprintf(&head, "import %s %q\n", name, path)
		}
	}
	for _, names := range declared.FindAllStringSubmatch(body, -1) {
		for _, name := range strings.Split(names[1], ", ") {
			if name != "_" {
				body += "_ = " + name + "\n"
			}
		}
	}
	if !strings.Contains(body, "\nfunc ") && !strings.HasPrefix(strings.TrimSpace(body), "func ") {
		body = "func block() {\n" + body + "}\n"
	}
	return "package main\n" + head.String() + own + given + body + "\nfunc main() {}\n"
}

func TestGoInTheDocsCompiles(t *testing.T) {
	dir := t.TempDir()
	root, err := filepath.Abs(".")
	require.NoError(t, err)
	overlay := map[string]string{}
	var packages []string
	for i, b := range blocks(t) {
		if b.language != "go" {
			continue
		}
		file := filepath.Join(dir, fmt.Sprint(i, ".go"))
		source := fmt.Sprintf("//line %s:%d\n%s", b.file, b.line, program(b.text))
		require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
		name := fmt.Sprintf("block%d", i)
		overlay[filepath.Join(root, name, "main.go")] = file
		packages = append(packages, "./"+name)
	}
	require.NotEmpty(t, packages)
	js, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	list := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(list, js, 0o600))
	out, err := exec.Command("go", append([]string{"build", "-overlay", list}, packages...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// JSON in the docs is settings, or a service config.
func TestJSONInTheDocsIsTaken(t *testing.T) {
	for _, b := range blocks(t) {
		if b.language == "json" {
			e, err := subpool.Explain(b.text)
			require.NoError(t, err, "%s:%d", b.file, b.line)
			require.Empty(t, e.Ignored, "%s:%d", b.file, b.line)
		}
	}
}

// A fence without a word is output, or another's code; sh is run by CI.
func TestEachFenceSaysWhatItIs(t *testing.T) {
	for _, b := range blocks(t) {
		require.True(t, slices.Contains([]string{"", "sh", "go", "json", "mermaid"}, b.language), "%s:%d: %q", b.file, b.line, b.language)
	}
}
