package probe

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
)

// Table is the report in text.
func Table(r Report) string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "connections\tRPC/s\tp50\tp99\tfailed\tno work\tstream limit\tCPU\twait for CPU\t")
	for _, row := range r.Rows {
		fmt.Fprintln(table, strings.Join(row.Cells(), "\t")+"\t")
	}
	table.Flush()
	fmt.Fprintf(&b, "One RPC at a time takes %s, one that takes the server no work %s; in the table %d are in flight.\n", ms(r.Idle), ms(r.IdleTrickle), r.InFlight)
	if worst := r.unevenness(); worst > uneven {
		fmt.Fprintf(&b, "RPC/s differed by %.0f %% between slices: something else keeps the server, the network or this machine busy.\n", 100*worst)
	}
	if r.Error != "" {
		fmt.Fprintf(&b, "One failure: %s\n", cli.Printable(r.Error))
	}
	if r.Interrupted {
		b.WriteString("Interrupted: this is what was measured so far\n")
	}
	return b.String()
}

// unevenness is that of most rows, at least.
func (r Report) unevenness() float64 {
	var all []float64
	for _, row := range r.Rows {
		if len(row.Rates) >= leastRatios {
			all = append(all, row.unevenness())
		}
	}
	return middle(all)
}

// Cells are what the table shows of a row.
func (r Row) Cells() []string {
	if len(r.Rates) == 0 {
		return []string{r.connections(), "–", "–", "–", "–", "–", r.limit(), "–", "–"}
	}
	return []string{
		r.connections(), fmt.Sprintf("%.0f", r.Rate()), ms(r.P50), ms(r.P99), fmt.Sprint(r.Failed),
		ms(r.Trickle), r.limit(), r.cpu(), ms(r.Wait),
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// connections tells more than the size where they differ.
func (r Row) connections() string {
	switch wanted := r.Size * max(1, r.Addresses); {
	case r.Connections != wanted:
		return fmt.Sprintf("%d of %d", r.Connections, wanted)
	case r.Addresses > 1:
		return fmt.Sprintf("%d × %d", r.Addresses, r.Size)
	default:
		return fmt.Sprint(r.Size)
	}
}

func (r Row) limit() string {
	if r.Limit < 0 {
		return "none"
	}
	return fmt.Sprint(r.Limit)
}

func (r Row) cpu() string {
	if r.CPU == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*r.CPU)
}

func ms(d time.Duration) string {
	switch m := d.Seconds() * 1000; {
	case m == 0:
		return "–"
	case m < 0.1:
		return fmt.Sprintf("%.0f µs", 1000*m)
	case m < 10:
		return fmt.Sprintf("%.1f ms", m)
	default:
		return fmt.Sprintf("%.0f ms", m)
	}
}
