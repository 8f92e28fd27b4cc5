package settings

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPickerMustBeAmongTheKnownNames(t *testing.T) {
	known := []string{"least_in_flight", "round_robin"}
	require.NoError(t, CheckPicker("round_robin", known))
	require.EqualError(t, CheckPicker("fastest", known), `subpool: picker: "fastest", must be one of least_in_flight, round_robin`)
}
