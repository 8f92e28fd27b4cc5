// Package proxies tests pools behind nginx and HAProxy, beside plain channels.
package proxies
