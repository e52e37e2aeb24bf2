// Package rest is the API of the built-in hub: one file per resource, in the shapes, names and media types of the Black
// Duck REST API. It reads the store and leaves every change with consequences to jobs. What is no part of that API is
// listed in the package comment of builtin.
package rest
