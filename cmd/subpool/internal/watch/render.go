package watch

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
	"github.com/grpc-subpool/subpool/inspect"
)

// render is what is shown of pools; err is why they are not newer.
func render(pools []inspect.Pool, err error, verbose bool) string {
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "no answer since: %s\n", cli.Printable(err.Error()))
	}
	if len(pools) == 0 {
		b.WriteString("no pool: a channel has one as soon as it connects, and none while it is idle\n")
		return b.String()
	}
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "POOL\tSTATE\tTARGET\tREADY\tBOUNDS\tIN FLIGHT\tWAITING\tOPENED\tREPLACED\tFAILED DIALS")
	for _, p := range pools {
		fmt.Fprintln(table, line(p))
	}
	table.Flush()
	for _, p := range pools {
		if p.Error != "" {
			fmt.Fprintf(&b, "#%d: %s\n", p.ID, cli.Printable(p.Error))
		}
		if verbose {
			b.WriteString(details(p))
		}
	}
	return b.String()
}

func line(p inspect.Pool) string {
	ready, all, inFlight, least, largest := 0, 0, 0, 0, 0
	for _, l := range p.Lingering {
		inFlight += l.InFlight
	}
	for _, e := range p.Endpoints {
		least += e.MinSize
		largest += e.MaxSize
		for _, s := range e.Subchannels {
			all++
			inFlight += s.InFlight
			if s.State == "ready" {
				ready++
			}
		}
	}
	var replaced int64
	for _, n := range p.Totals.Retired {
		replaced += n
	}
	return fmt.Sprintf("#%d\t%s\t%s\t%d of %d\t%d–%d\t%d\t%d\t%d\t%d\t%d", p.ID, cli.Printable(p.State), cli.Printable(p.Target),
		ready, all, least, largest, inFlight, p.Held+p.Queued, p.Totals.Opened, replaced, p.Totals.Failed)
}

// details are the connections of a pool, and its last decision.
func details(p inspect.Pool) string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\n#%d\tSTATE\tADDRESS\tIN FLIGHT\tLIMIT\tSTARTED\tFAILED\tAGE\t\n", p.ID)
	for _, e := range p.Endpoints {
		for _, s := range e.Subchannels {
			fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%s\t%d\t%d\t%s\t%s\n", s.ID, cli.Printable(s.State), cli.Printable(address(e, s)),
				s.InFlight, limit(s), s.Started, s.Failed, age(p.At, s.Connected), cli.Printable(remark(s)))
		}
	}
	table.Flush()
	if n := len(p.Decisions); n > 0 {
		d := p.Decisions[n-1]
		fmt.Fprintf(&b, "%s %s: %s\n", d.At.Format(timestamp), cli.Printable(d.What), cli.Printable(d.Why))
	}
	return b.String()
}

func address(e inspect.Endpoint, s inspect.Subchannel) string {
	return cmp.Or(s.Address, strings.Join(e.Addresses, " or "))
}

func limit(s inspect.Subchannel) string {
	if s.Limit < 0 || s.Connected == nil {
		return "–"
	}
	return fmt.Sprint(s.Limit)
}

func age(now time.Time, connected *time.Time) string {
	if connected == nil {
		return "–"
	}
	return now.Sub(*connected).Truncate(time.Second).String()
}

func remark(s inspect.Subchannel) string {
	switch {
	case s.Retired != "":
		return "retired: " + s.Retired
	case s.Suspect:
		return "suspect"
	default:
		return ""
	}
}
