package page_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/page"
)

// The page stands beside what an application serves anyway. The path ends in a slash.
func ExampleHandler() {
	mux := http.NewServeMux()
	mux.HandleFunc("/orders", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "no orders")
	})
	mux.Handle("/debug/subpool/", page.Handler())

	server := httptest.NewServer(mux)
	defer server.Close()
	for _, path := range []string{"/orders", "/debug/subpool/", "/debug/subpool/json"} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(io.LimitReader(response.Body, 15))
		response.Body.Close()
		fmt.Printf("%s: %s %.15q\n", path, response.Status, body)
	}
	// Output:
	// /orders: 200 OK "no orders"
	// /debug/subpool/: 200 OK "<!doctype html>"
	// /debug/subpool/json: 200 OK "[]\n"
}

// With a guard before it, the page may also replace the connections of a pool, when the
// client has a new certificate, or an address leads somewhere else now.
func ExampleAllowRecycle() {
	// Stands for what guards the other pages that are for operators only.
	operatorsOnly := func(h http.Handler) http.Handler { return h }

	mux := http.NewServeMux()
	mux.Handle("/debug/subpool/", operatorsOnly(page.Handler(page.AllowRecycle())))

	server := httptest.NewServer(mux)
	defer server.Close()
	// A form on a page of another origin may send this, but not the header that the page's
	// own button sends.
	response, err := http.Post(server.URL+"/debug/subpool/recycle?id=1", "", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	fmt.Println(response.Status)
	// Output: 403 Forbidden
}
