package workload

import (
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var saturated = Kind{
	Key:   "h",
	Title: "RPCs that wait",
	About: "The server runs 40 RPCs at a time, on one connection of a plain channel or on four of a pool, and so many others wait. " +
		"What an RPC costs the client should not rise with them. What does rise, with any channel, is what so many callers cost themselves, first of all garbage collection, which looks at their stacks. So each side is measured without collection, too, and beside a plain channel.",
	run: runSaturated,
}

func runSaturated(r *Run, w *result.Workload) error {
	t := &result.Table{
		Name: "saturated", RowName: "waiting", Base: contender.Plain.Name,
		Metrics: []result.Metric{{Name: "client CPU", Unit: "µs an RPC", Lower: true}},
		Plots:   []result.Plot{{Metric: "client CPU", Title: "40 RPCs at a time, others wait", Lines: true, Log: true}},
	}
	w.Tables = append(w.Tables, t)
	whole, err := server.Start(server.Options{Streams: 40})
	if err != nil {
		return err
	}
	defer func() { _ = whole.Stop() }()
	quarter, err := server.Start(server.Options{Streams: 10})
	if err != nil {
		return err
	}
	defer func() { _ = quarter.Stop() }()
	tell := func(m *measured) values { return values{"client CPU": m.micros(m.client.cpu)} }
	pool := contender.Settings{Min: 4, Max: 4}
	var sides []side
	for _, waiting := range []int{100, 1000, 10000} {
		row := strconv.Itoa(waiting)
		l := load{callers: 40 + waiting, warm: r.lasts(400 * time.Millisecond), window: r.lasts(400 * time.Millisecond)}
		plain, ours := carry(row, contender.Plain, pool, whole, l, tell), carry(row, contender.Subpool, pool, quarter, l, tell)
		sides = append(sides, collected(plain), collected(ours), uncollected(plain), uncollected(ours))
	}
	if err := r.alternate(t, 7, sides...); err != nil {
		return err
	}
	flat := func(column string) result.Stat { return t.RowRatio("10000", "100", column, "client CPU") }
	w.Verdicts = []result.Verdict{
		result.AtMost("client CPU of an RPC with 10,000 waiting, against 100: flat", flat(contender.Subpool.Name), 1.1, " ×"),
		result.AtMost("… without garbage collection", flat(contender.Subpool.Name+withoutGC), 1.1, " ×"),
		result.Told("… of a plain channel", flat(contender.Plain.Name), " ×"),
		result.AtMost("client CPU of an RPC with 10,000 waiting, against a plain channel's with as many",
			t.Ratio("10000", contender.Subpool.Name, contender.Plain.Name, "client CPU"), 1.1, " ×"),
	}
	return nil
}

const withoutGC = ", no GC"

// collected is s without the garbage of the side before it.
func collected(s side) side {
	return side{s.row, s.name, func(slice int) (values, error) {
		runtime.GC()
		return s.measure(slice)
	}}
}

// uncollected is s while no garbage is collected.
func uncollected(s side) side {
	return collected(side{s.row, s.name + withoutGC, func(slice int) (values, error) {
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		return s.measure(slice)
	}})
}
