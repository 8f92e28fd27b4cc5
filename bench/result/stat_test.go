package result

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAStatIsTheMedianAndTheQuartiles(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   Stat
	}{
		{"none", nil, Stat{}},
		{"one", []float64{7}, Stat{7, 7, 7, 1}},
		{"two", []float64{4, 0}, Stat{2, 1, 3, 2}},
		{"odd, out of order", []float64{5, 1, 4, 2, 3}, Stat{3, 2, 4, 5}},
		{"even", []float64{1, 2, 3, 4}, Stat{2.5, 1.75, 3.25, 4}},
		{"one far off moves little", []float64{1, 1, 1, 1, 1000}, Stat{1, 1, 1, 5}},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, StatOf(tt.values)) })
	}
}

func TestStatOfLeavesTheValuesInTheirOrder(t *testing.T) {
	values := []float64{3, 1, 2}
	StatOf(values)
	require.Equal(t, []float64{3, 1, 2}, values)
}

// The machine became three times as slow half-way: the ratios do not see it.
func TestRatiosAreOfTheSameSlice(t *testing.T) {
	require.Equal(t, []float64{2, 2, 2}, Ratios([]float64{20, 6, 8}, []float64{10, 3, 4}))
}

func TestRatiosLeaveOutWhatOnlyOneHasAndDivisionsByZero(t *testing.T) {
	require.Equal(t, []float64{5}, Ratios([]float64{10, 1, 9}, []float64{2, 0}))
	require.Empty(t, Ratios(nil, []float64{1}))
}

func TestAStatPrintsThreeDigits(t *testing.T) {
	for want, s := range map[string]Stat{
		"–":                       {},
		"0":                       {0, 0, 0, 3},
		"1.02 [0.990–1.10]":       {1.0204, 0.99, 1.1, 3},
		"0.0123":                  {0.01234, 0.01234, 0.01234, 1},
		"0.0001":                  {0.0001234, 0.0001234, 0.0001234, 1},
		"41,235 [9876–1,234,567]": {41234.6, 9876, 1234567, 3},
		"-41,235":                 {-41235, -41235, -41235, 1},
		"10.9":                    {10.91, 10.9, 10.92, 3},
		"123":                     {123.4, 123.4, 123.4, 1},
		"12.3":                    {12.34, 12.34, 12.34, 1},
	} {
		require.Equal(t, want, s.String())
	}
}
