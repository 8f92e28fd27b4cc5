// Package servers tests pools against servers and proxies of other makers, beside plain
// channels.
package servers
