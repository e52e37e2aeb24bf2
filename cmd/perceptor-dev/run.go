package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/fx"

	"github.com/perceptor/perceptor/cmd/perceptor-dev/samples"
)

// stopWait bounds a clean stop of everything. It takes about two seconds when
// nothing is under way; the rest is for scans that have to be put down.
const stopWait = 25 * time.Second

// run starts everything, scans the samples and stays until ctx ends, or until
// all is scanned where the options say so.
func run(ctx context.Context, options options, out io.Writer) error {
	if err := options.complete(); err != nil {
		return err
	}
	stack := &stack{options: options}
	app := fx.New(fx.NopLogger, fx.Invoke(func(lifecycle fx.Lifecycle) {
		for _, hook := range stack.hooks() {
			lifecycle.Append(hook)
		}
	}))
	if err := app.Start(ctx); err != nil {
		return unlessStopped(ctx, err)
	}
	done, err := stack.work(ctx, out)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	if err := errors.Join(unlessStopped(ctx, err), app.Stop(stopping)); err != nil {
		return err
	}
	if !options.untilScanned || ctx.Err() != nil {
		return nil
	}
	// Scripts read the last line.
	_, _ = fmt.Fprintln(out, done)
	return done.err()
}

// work is what happens between the start and the stop.
func (s *stack) work(ctx context.Context, out io.Writer) (totals, error) {
	s.greet(out)
	var references []string
	if !s.options.noSamples {
		var err error
		if references, err = s.publishSamples(ctx, out); err != nil {
			return totals{}, err
		}
	}
	if err := s.dir.PublishAddresses(s.addresses()); err != nil {
		return totals{}, err
	}
	if err := s.runPods(ctx, references); err != nil {
		return totals{}, err
	}
	var done totals
	if s.crew != nil && len(references) > 0 {
		var err error
		if done, err = s.crew.scan(ctx, references, out); err != nil {
			return totals{}, err
		}
	}
	if !s.options.untilScanned {
		if s.crew != nil {
			s.ownUp(out)
		}
		_, _ = fmt.Fprintln(out, "ready; Ctrl-C ends it")
		<-ctx.Done()
	}
	return done, nil
}

func (s *stack) publishSamples(ctx context.Context, out io.Writer) ([]string, error) {
	programs, err := ownDir()
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintln(out, "making the sample images")
	return samples.Publish(ctx, samples.Options{
		Registry: s.addresses().Registry,
		Programs: programs,
		Samples:  s.options.sampleBinaries,
		Cache:    s.dir.File("samples"),
		Say:      func(line string) { _, _ = fmt.Fprintln(out, line) },
	})
}

// unlessStopped turns the errors of a stop that was asked for into none.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
