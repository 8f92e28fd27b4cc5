package settings_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/settings"
)

// A target says the same as JSON, whatever the values are.
func TestASettingIsReadAlikeFromATargetAndFromJSON(t *testing.T) {
	same := func(c config.Config) bool {
		js, err := json.Marshal(c)
		require.NoError(t, err)
		var object map[string]any
		require.NoError(t, json.Unmarshal(js, &object))
		query := make(url.Values)
		for name, value := range object {
			query.Set(name, fmt.Sprint(value))
			if number, ok := value.(float64); ok {
				query.Set(name, strconv.FormatFloat(number, 'f', -1, 64))
			}
		}
		back, given, err := settings.ParseQuery(query.Encode())
		require.NoError(t, err)
		return back == c && len(given) == len(object)
	}
	anyConfig := func(v []reflect.Value, r *rand.Rand) {
		picker, _ := quick.Value(reflect.TypeFor[string](), r)
		c := config.Default()
		c.Picker = "p" + picker.String() // runes of every kind, quotes and < too
		c.TargetStreams, c.MaxPending = 1+r.Intn(math.MaxInt32), r.Intn(math.MaxInt32)
		c.LifetimeJitter = r.Float64()
		c.IdleTimeout = config.MinInterval + time.Duration(r.Int63n(int64(time.Hour)))
		v[0] = reflect.ValueOf(c)
	}
	require.NoError(t, quick.Check(same, &quick.Config{MaxCount: 2000, Values: anyConfig}))
}

func TestWhatIsRepeatedIsCutShort(t *testing.T) {
	_, _, err := settings.ParseQuery("size=%ff8&size=" + strings.Repeat("9", 100))
	require.EqualError(t, err, "subpool: size: 8, "+strings.Repeat("9", 61)+", must be given once")
}
