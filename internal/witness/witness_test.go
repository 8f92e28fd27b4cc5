package witness_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/internal/witness"
)

func TestTheBudgetIsHeld(t *testing.T) {
	type steps []witness.Endpoint
	for _, tt := range []struct {
		name  string
		steps steps
		want  string // of the last step
	}{
		{"as many as are wanted", steps{{Size: 4, MaxSize: 4, Subchannels: 4}}, ""},
		{"and one that replaces", steps{{Size: 4, MaxSize: 4, Subchannels: 5, Draining: 4}}, ""},
		{"and two", steps{{Size: 4, MaxSize: 4, Subchannels: 6}}, "6 connections, more than maxSize 4 and budget 1"},
		{"two of twenty", steps{{Size: 20, MaxSize: 20, Subchannels: 22}}, ""},
		{"more drain", steps{{Size: 4, MaxSize: 4, Draining: 5}}, "5 drain, more than maxSize 4 and 0 dropped"},
		{"after it shrank", steps{{Size: 4, MaxSize: 4}, {Size: 2, MaxSize: 4, Draining: 6}}, ""},
		{"after it shrank, and those were gone", steps{{Size: 4, MaxSize: 4}, {Size: 2, MaxSize: 4}, {Size: 2, MaxSize: 4, Draining: 5}}, "5 drain, more than maxSize 4 and 0 dropped"},
		{"after maxSize was lowered", steps{{Size: 2, MaxSize: 8, Draining: 8}, {Size: 2, MaxSize: 2, Draining: 8}}, ""},
		{"and those were gone", steps{{Size: 2, MaxSize: 8, Draining: 8}, {Size: 2, MaxSize: 2}, {Size: 2, MaxSize: 2, Draining: 3}}, "3 drain, more than maxSize 2 and 0 dropped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b witness.Budget
			var err error
			for _, e := range tt.steps {
				require.NoError(t, err)
				e.ID = t
				err = b.Check(e)
			}
			if tt.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.want)
			}
		})
	}
}
