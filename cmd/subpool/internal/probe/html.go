package probe

import (
	"bytes"
	_ "embed"
	"html/template"
)

//go:embed page.html
var document string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"ms": ms}).Parse(document))

// Page is the report as one page of HTML that needs nothing else.
func Page(r Report) ([]byte, error) {
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		Report
		Advice string
		Plots  []plot
	}{r, Advice(r), plots(r)})
	return b.Bytes(), err
}
