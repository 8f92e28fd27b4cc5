package settings_test

import (
	"fmt"

	"github.com/grpc-subpool/subpool/internal/settings"
)

// A field that is not known is ignored, and told; a value out of bounds is an error.
func ExampleParse() {
	c, given, unknown, err := settings.Parse([]byte(`{"minSize":2,"maxsize":8}`))
	fmt.Println(c.MinSize, c.MaxSize, given, unknown, err)

	_, _, _, err = settings.Parse([]byte(`{"maxLifetime":"1ms"}`))
	fmt.Println(err)
	// Output:
	// 2 4 [minSize] [maxsize] <nil>
	// subpool: maxLifetime: "1ms", must be 0s or at least 100ms
}

// In the query of a target an unknown name is an error.
func ExampleParseQuery() {
	c, given, err := settings.ParseQuery("size=8&maxLifetime=10m")
	fmt.Println(c.MinSize, c.MaxSize, c.MaxLifetime, given, err)

	_, _, err = settings.ParseQuery("sise=8")
	fmt.Println(err)
	// Output:
	// 8 8 10m0s [maxLifetime size] <nil>
	// subpool: "sise": unknown setting, must be one of size, minSize, maxSize, targetStreams, picker, idleTimeout, maxLifetime, lifetimeJitter, drainTimeout, maxPending, unresponsiveTimeout, outlierInterval, resolveInterval, name
}
