// Package watch is the command watch.
package watch

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
	"github.com/grpc-subpool/subpool/inspect"
)

const help = `subpool watch URL [-v] [-every 1s] [-once]

Shows the live pools of a process that mounts package page, as in
mux.Handle("/debug/subpool/", page.Handler()): URL is that of the page. A line for each
pool; with -v one for each connection, and the last decision. In a terminal it is
refreshed in place, elsewhere each look is appended. Ctrl-C ends it.

  subpool watch http://localhost:8080/debug/subpool/ -v
`

// most is what is read of an answer: a pool of 1,024 connections is about 300 KB.
const most = 64 << 20

type options struct {
	url           string
	every         time.Duration
	verbose, once bool
}

func parse(args []string, std cli.IO) (o options, err error) {
	flags := flag.NewFlagSet("watch", flag.ContinueOnError)
	flags.BoolVar(&o.verbose, "v", false, "a line for each connection, too")
	flags.BoolVar(&o.once, "once", false, "look once, and end")
	flags.DurationVar(&o.every, "every", time.Second, "how often to look")
	rest, err := cli.Parse(flags, help, args, std)
	switch {
	case err != nil:
		return o, err
	case len(rest) != 1:
		return o, cli.Bad("%d arguments, must be 1: the URL of the page", len(rest))
	case o.every < 100*time.Millisecond:
		return o, cli.Bad("-every: %v, must be at least 100ms", o.every)
	}
	o.url, err = jsonOf(rest[0])
	return o, err
}

// jsonOf is where the page at that URL has its JSON.
func jsonOf(page string) (string, error) {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", cli.Bad("URL: %q, must be that of a page, like http://localhost:8080/debug/subpool/", page)
	}
	if strings.HasSuffix(u.Path, "/json") {
		return u.String(), nil
	}
	return u.JoinPath("json").String(), nil
}

// Run is the command.
func Run(ctx context.Context, args []string, std cli.IO) error {
	o, err := parse(args, std)
	if err != nil {
		return err
	}
	pools, err := fetch(ctx, o.url)
	if err != nil {
		return err
	}
	show := screen{std.Out, isTerminal(std.Out) && !o.once}
	show.begin()
	defer show.end()
	for {
		show.draw(time.Now(), render(pools, err, o.verbose))
		if o.once {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // there is no other end
		case <-time.After(o.every):
		}
		if latest, failure := fetch(ctx, o.url); ctx.Err() == nil {
			if err = failure; err == nil {
				pools = latest
			}
		}
	}
}

// fetch asks the page once.
func fetch(ctx context.Context, from string) (pools []inspect.Pool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, most)
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(body, 300))
		return nil, fmt.Errorf("%s: %s: %s", from, response.Status, text)
	}
	if err := json.NewDecoder(body).Decode(&pools); err != nil {
		return nil, fmt.Errorf("%s is not the JSON of package page: %w", from, err)
	}
	return pools, nil
}

// A screen is drawn over and over, or appended to where it is no terminal.
type screen struct {
	out     io.Writer
	inPlace bool
}

const (
	wipe      = "\x1b[2J\x1b[H\x1b[?7l\x1b[?25l" // lines are cut at the edge, and the cursor is hidden
	home      = "\x1b[H"
	lineEnd   = "\x1b[K\n"
	belowEnd  = "\x1b[J"
	asBefore  = "\x1b[?7h\x1b[?25h"
	timestamp = "15:04:05"
)

func (s screen) begin() {
	if s.inPlace {
		fmt.Fprint(s.out, wipe)
	}
}

func (s screen) end() {
	if s.inPlace {
		fmt.Fprint(s.out, asBefore)
	}
}

func (s screen) draw(now time.Time, text string) {
	text = now.Format(timestamp) + "\n" + text
	if s.inPlace {
		text = home + strings.ReplaceAll(text, "\n", lineEnd) + belowEnd
	}
	fmt.Fprint(s.out, text)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
