package webui

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/cors"
	"github.com/temporalio/ui-server/v2/server/csrf"
	"github.com/temporalio/ui-server/v2/server/route"
	"github.com/temporalio/ui-server/v2/ui"
)

// New gives the Web UI of the Temporal server at frontend, HOST:PORT, opened on
// namespace.
func New(frontend, namespace string) (http.Handler, error) {
	settings, err := config.NewConfigProviderWithRefresh(&config.Config{
		TemporalGRPCAddress: frontend,
		DefaultNamespace:    namespace,
		EnableUI:            true,
		HideLogs:            true,
		DisableNewsFetch:    true, // nothing leaves this machine
		// Plain HTTP on loopback: a browser would not send secure cookies back.
		CORS: config.CORS{CookieInsecure: true},
	})
	if err != nil {
		return nil, fmt.Errorf("configure web ui: %w", err)
	}
	pages, err := ui.Assets()
	if err != nil {
		return nil, fmt.Errorf("open pages of web ui: %w", err)
	}
	// "local" holds the pages for one's own server, "cloud" those of the service.
	if pages, err = fs.Sub(pages, "local"); err != nil {
		return nil, fmt.Errorf("find pages of web ui: %w", err)
	}

	router := echo.New()
	router.Logger.SetOutput(io.Discard)
	router.Use(
		middleware.Recover(),
		middleware.Gzip(),
		middleware.Secure(),
		cors.CORSMiddleware(cors.CORSConfig{ConfigProvider: settings}),
		csrf.EnsureTokenCookie(false),
		middleware.CSRFWithConfig(csrf.MiddlewareConfig(settings, false)),
	)
	route.SetHealthRoute(router)
	route.SetRenderRoute(router, "")
	if err := route.SetAPIRoutes(router, settings, nil); err != nil {
		return nil, fmt.Errorf("connect web ui to %s: %w", frontend, err)
	}
	if err := route.SetUIRoutes(router, "", pages); err != nil {
		return nil, fmt.Errorf("read pages of web ui: %w", err)
	}
	return router, nil
}
