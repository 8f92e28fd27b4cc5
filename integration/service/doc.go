// Package service tests pools behind a Kubernetes Service, without Kubernetes: beside plain
// channels, in a network namespace of its own, by the rules of nftables that kube-proxy's
// mode of that name makes of a ClusterIP. The kernel that draws a backend for a connection,
// and remembers it for as long as the connection lasts, is the one that does so on a node.
//
// The tests need Linux, nft (Debian's package nftables), and the right to make a network
// namespace. Without that right they are skipped; root has it, and so they run in CI, which
// does not let a test be skipped.
package service
