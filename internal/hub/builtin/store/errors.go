package store

import "fmt"

// NotFoundError says that the file holds no object of that id.
type NotFoundError struct {
	// What is the kind of object, such as "code location".
	What string
	ID   string
}

func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no %s %.80q", e.What, e.ID) }
