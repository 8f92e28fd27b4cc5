package result

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The picture's sizes, in pixels.
const (
	width, height               = 760.0, 380.0
	left, right, above, beneath = 70.0, 190.0, 40.0, 46.0
	plotWidth, plotHeight       = width - left - right, height - above - beneath
)

// colours are those of the columns, told apart by the colour-blind too (Okabe and Ito);
// ours has the same in every plot.
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#8d8d8d", "#b8a900", "#6a51a3"}

const ours = "#d55e00"

func (t *Table) colour(column int) string {
	if t.Columns[column] == "subpool" {
		return ours
	}
	return colours[column%len(colours)]
}

func (t *Table) plotName(p Plot) string {
	return strings.ReplaceAll(strings.ToLower(t.Name+"-"+p.Metric), " ", "-") + ".svg"
}

// SavePlots writes all plots into dir.
func (r *Result) SavePlots(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, k := range r.Workloads {
		for _, t := range k.Tables {
			for _, p := range t.Plots {
				if err := os.WriteFile(filepath.Join(dir, t.plotName(p)), []byte(t.svg(p)), 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// A picture is an SVG in the making; top is the value at its upper edge.
type picture struct {
	strings.Builder
	top float64
}

// svg draws a plot: its style follows a reader's dark or light theme.
func (t *Table) svg(p Plot) string {
	pic := &picture{top: t.top(p.Metric)}
	fmt.Fprintf(pic, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %v %v" font-family="sans-serif" font-size="12">
<style>
svg { background: #fff } text { fill: #222 } .axis { stroke: #888 } .grid { stroke: #ddd } .spread { stroke: #222 }
@media (prefers-color-scheme: dark) { svg { background: #0d1117 } text { fill: #ddd } .grid { stroke: #30363d } .spread { stroke: #ddd } }
</style>
`, width, height)
	m := t.metric(p.Metric)
	pic.text(left, 22, "start", fmt.Sprintf("%s: %s, %s", p.Title, m.Name, m.Unit))
	for i := range 5 {
		v := pic.top * float64(i) / 4
		pic.line("grid", left, pic.y(v), left+plotWidth, pic.y(v))
		pic.text(left-8, pic.y(v)+4, "end", thousands(strconv.FormatFloat(v, 'g', 6, 64)))
	}
	pic.line("axis", left, pic.y(0), left+plotWidth, pic.y(0))
	pic.text(left+plotWidth/2, height-8, "middle", t.RowName)
	for i, c := range t.Columns {
		y := above + 8 + 20*float64(i)
		fmt.Fprintf(pic, `<rect x="%v" y="%v" width="12" height="12" fill="%s"/>`+"\n", left+plotWidth+16, y, t.colour(i))
		pic.text(left+plotWidth+34, y+10, "start", c)
	}
	if p.Lines {
		t.drawLines(pic, p)
	} else {
		t.drawBars(pic, p)
	}
	pic.WriteString("</svg>\n")
	return pic.String()
}

// top returns a round number at or above all values.
func (t *Table) top(metric string) float64 {
	most := 0.0
	for _, row := range t.Rows {
		for _, c := range t.Columns {
			most = max(most, StatOf(t.Values(row, c, metric)).High)
		}
	}
	if most == 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(most)))
	for _, step := range []float64{1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8} {
		if most <= step*unit {
			return step * unit
		}
	}
	return 10 * unit
}

func (t *Table) drawBars(pic *picture, p Plot) {
	group := plotWidth / float64(len(t.Rows))
	bar := 0.8 * group / float64(len(t.Columns))
	for i, row := range t.Rows {
		x := left + (float64(i)+0.1)*group
		pic.text(x+0.4*group, pic.y(0)+16, "middle", row)
		for j, c := range t.Columns {
			s := StatOf(t.Values(row, c, p.Metric))
			if s.N > 0 {
				at := x + float64(j)*bar
				fmt.Fprintf(pic, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n",
					at, pic.y(s.Median), 0.9*bar, pic.y(0)-pic.y(s.Median), t.colour(j))
				pic.line("spread", at+0.45*bar, pic.y(s.Low), at+0.45*bar, pic.y(s.High))
			}
		}
	}
}

func (t *Table) drawLines(pic *picture, p Plot) {
	xs := t.positions(p.Log)
	for i, row := range t.Rows {
		pic.text(xs[i], pic.y(0)+16, "middle", row)
	}
	for j, c := range t.Columns {
		var points []string
		for i, row := range t.Rows {
			s := StatOf(t.Values(row, c, p.Metric))
			if s.N > 0 {
				points = append(points, fmt.Sprintf("%.1f,%.1f", xs[i], pic.y(s.Median)))
				pic.line("spread", xs[i], pic.y(s.Low), xs[i], pic.y(s.High))
			}
		}
		fmt.Fprintf(pic, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), t.colour(j))
	}
}

// positions are those of the rows on the horizontal axis, by their number.
func (t *Table) positions(logarithmic bool) (xs []float64) {
	for _, row := range t.Rows {
		x, _ := strconv.ParseFloat(strings.ReplaceAll(row, ",", ""), 64)
		if logarithmic {
			x = math.Log(x)
		}
		xs = append(xs, x)
	}
	first, last := xs[0], xs[len(xs)-1]
	for i := range xs {
		if last == first {
			xs[i] = left + plotWidth/2
		} else {
			xs[i] = left + 20 + (plotWidth-40)*(xs[i]-first)/(last-first)
		}
	}
	return xs
}

func (pic *picture) y(v float64) float64 { return above + plotHeight*(1-v/pic.top) }

func (pic *picture) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(pic, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func (pic *picture) text(x, y float64, anchor, text string) {
	fmt.Fprintf(pic, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(text))
}
