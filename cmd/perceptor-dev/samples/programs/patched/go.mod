module perceptor.example/samples/patched

go 1.21

require golang.org/x/text v0.3.8
