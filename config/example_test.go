package config_test

import (
	"fmt"

	"github.com/grpc-subpool/subpool/config"
)

// Settings start from the defaults: in a zero Config zero is zero, and is refused.
func Example() {
	c := config.Default()
	c.Size = 8
	fmt.Println(c.Validate())
	fmt.Println(config.Config{Size: 8}.Validate())
	fmt.Println(config.Config{}.Validate())
	// Output:
	// <nil>
	// subpool: targetStreams: 0, must be 1 to 2147483647
	// subpool: maxSize: 0, must be 1 to 1024; every setting is zero: start from subpool.DefaultConfig
}
