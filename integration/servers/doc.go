// Package servers tests pools against servers of other makers, beside plain channels.
package servers
