package docblocks

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const mostFields = 16

// wideStructs are those that src declares with more fields than mostFields.
func wideStructs(t *testing.T, name string, src any) (wide []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
	require.NoError(t, err)
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		fields := 0
		for _, line := range s.Fields.List {
			fields += max(1, len(line.Names)) // an embedded one has no name
		}
		if fields > mostFields {
			wide = append(wide, name+" "+spec.Name.Name)
		}
		return true
	})
	return wide
}

func TestNoStructHasMoreFieldsThanAReaderKeepsInMind(t *testing.T) {
	files := 0
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files++
			require.Empty(t, wideStructs(t, path, nil))
		}
		return err
	}))
	require.Greater(t, files, 80)
}

// Without this the test above might count nothing.
func TestAWideStructIsFound(t *testing.T) {
	sixteen := "\n" + strings.Repeat("\ta, b int\n", mostFields/2)
	require.Empty(t, wideStructs(t, "x.go", "package x\n\ntype narrow struct {"+sixteen+"}\n"))
	require.Equal(t, []string{"x.go wide"}, wideStructs(t, "x.go", "package x\n\ntype wide struct {"+sixteen+"\tembedded\n}\n"))
}
