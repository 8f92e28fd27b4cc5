package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func run(ctx context.Context, args []string, command func(context.Context, []string, IO) error) (status int, out, errOut string) {
	var o, e bytes.Buffer
	p := Program{Name: "prog", About: "does things", Commands: []Command{{Name: "do", About: "does one", Run: command}}}
	status = p.Run(ctx, args, IO{In: &bytes.Buffer{}, Out: &o, Err: &e})
	return status, o.String(), e.String()
}

func ends(err error) func(context.Context, []string, IO) error {
	return func(context.Context, []string, IO) error { return err }
}

func TestACommandEndsWithAStatusAndALine(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		err    error
		status int
		line   string
	}{
		{"well", []string{"do"}, nil, 0, ""},
		{"badly", []string{"do"}, errors.New("connection\nrefused\x1b[2J"), 1, "prog do: connection refused·[2J\n"},
		{"for bad input", []string{"do"}, Bad("-n: %d, must be at least 1", 0), 2, "prog do: -n: 0, must be at least 1; see prog do -h\n"},
		{"with no command", nil, nil, 2, "prog: no command, must be one of do; see prog -h\n"},
		{"with another command", []string{"undo"}, nil, 2, "prog: command \"undo\", must be one of do; see prog -h\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errOut := run(t.Context(), tt.args, ends(tt.err))
			assert.Equal(t, tt.status, status)
			assert.Empty(t, out)
			assert.Equal(t, tt.line, errOut)
		})
	}
}

func TestAnInterruptedCommandSaysNoMore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	status, _, errOut := run(ctx, []string{"do"}, ends(ctx.Err()))
	assert.Equal(t, 130, status)
	assert.Empty(t, errOut)
}

func TestHelpListsTheCommands(t *testing.T) {
	for _, how := range []string{"-h", "--help", "help"} {
		status, out, _ := run(t.Context(), []string{how}, ends(nil))
		assert.Equal(t, 0, status)
		assert.Contains(t, out, "prog do        does one\n")
	}
}

func TestFlagsMayStandBehindArguments(t *testing.T) {
	flags := flag.NewFlagSet("do", flag.ContinueOnError)
	n := flags.Int("n", 1, "a number")
	rest, err := Parse(flags, "", []string{"a", "-n", "7", "b"}, IO{})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, rest)
	assert.Equal(t, 7, *n)
}

func TestAFlagThatIsWrongIsBadInput(t *testing.T) {
	for _, args := range [][]string{{"-n", "x"}, {"-m"}, {"a", "-n"}} {
		flags := flag.NewFlagSet("do", flag.ContinueOnError)
		flags.Int("n", 1, "a number")
		_, err := Parse(flags, "", args, IO{})
		assert.ErrorAs(t, err, new(InputError), args)
	}
}

func TestTheHelpOfACommandGoesToStandardOutput(t *testing.T) {
	status, out, errOut := run(t.Context(), []string{"do", "a", "-h"}, func(_ context.Context, args []string, std IO) error {
		flags := flag.NewFlagSet("do", flag.ContinueOnError)
		flags.Int("n", 1, "a `number`")
		_, err := Parse(flags, "prog do THING\n", args, std)
		return err
	})
	assert.Equal(t, 0, status)
	assert.Empty(t, errOut)
	assert.Contains(t, out, "prog do THING\n\nFlags:\n")
	assert.Contains(t, out, "-n number")
}
