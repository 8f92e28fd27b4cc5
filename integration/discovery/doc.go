// Package discovery finds servers by etcd's own gRPC resolver, and etcd by a pool.
package discovery
