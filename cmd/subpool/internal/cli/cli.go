// Package cli is what the commands share: how they are chosen, read flags, and end.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Statuses with which a program ends.
const (
	ok          = 0
	failed      = 1
	badInput    = 2
	interrupted = 130 // 128 + SIGINT, as shells have it
)

// IO is what a command reads and writes.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
}

// A Command is one of a program's.
type Command struct {
	Name, About string
	Run         func(context.Context, []string, IO) error
}

// A Program is a choice of commands.
type Program struct {
	Name, About string
	Commands    []Command
}

// InputError is an error of whoever called the program.
type InputError struct{ Why string }

func (e InputError) Error() string { return e.Why }

// Bad returns a [InputError].
func Bad(format string, args ...any) error { return InputError{fmt.Sprintf(format, args...)} }

// Run runs the command that args name, and returns the program's exit status.
func (p Program) Run(ctx context.Context, args []string, std IO) int {
	name, err := p.run(ctx, args, std)
	var bad InputError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ok
	case errors.As(err, &bad):
		fmt.Fprintf(std.Err, "%s: %s; see %[1]s -h\n", name, oneLine(err))
		return badInput
	case ctx.Err() != nil:
		return interrupted
	default:
		fmt.Fprintf(std.Err, "%s: %s\n", name, oneLine(err))
		return failed
	}
}

func (p Program) run(ctx context.Context, args []string, std IO) (name string, err error) {
	if len(args) == 0 {
		return p.Name, Bad("no command, must be one of %s", p.names())
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		fmt.Fprint(std.Out, p.help())
		return p.Name, nil
	}
	for _, c := range p.Commands {
		if c.Name == args[0] {
			return p.Name + " " + c.Name, c.Run(ctx, args[1:], std)
		}
	}
	return p.Name, Bad("command %q, must be one of %s", args[0], p.names())
}

func (p Program) names() string {
	var names []string
	for _, c := range p.Commands {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

func (p Program) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n\n", p.Name, p.About)
	for _, c := range p.Commands {
		fmt.Fprintf(&b, "  %s %-8s  %s\n", p.Name, c.Name, c.About)
	}
	fmt.Fprintf(&b, "\n%s COMMAND -h tells more. Exit status: 0, 1 if it failed, 2 for bad input, 130 if interrupted.\n", p.Name)
	return b.String()
}

// oneLine is the error in one line, with nothing that a terminal would obey.
func oneLine(err error) string { return Printable(strings.Join(strings.Fields(err.Error()), " ")) }

// Printable returns text without what a terminal would obey: it may come from a server.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return '·'
		}
		return r
	}, text)
}

// Parse reads flags, which may stand between and behind the arguments, and returns the
// arguments. It prints the help if that is asked for.
func Parse(flags *flag.FlagSet, help string, args []string, std IO) (rest []string, err error) {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	for {
		err := flags.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprint(std.Out, help, "\nFlags:\n")
			flags.SetOutput(std.Out)
			flags.PrintDefaults()
			return nil, err
		case err != nil:
			return nil, Bad("%v", err)
		case flags.NArg() == 0:
			return rest, nil
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// PrintableLines is [Printable] for text of several lines.
func PrintableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n")
}
