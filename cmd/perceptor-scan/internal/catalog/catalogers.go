package catalog

import (
	"github.com/anchore/syft/syft/cataloging/pkgcataloging"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/ai"
	"github.com/anchore/syft/syft/pkg/cataloger/alpine"
	"github.com/anchore/syft/syft/pkg/cataloger/apple"
	"github.com/anchore/syft/syft/pkg/cataloger/arch"
	"github.com/anchore/syft/syft/pkg/cataloger/binary"
	bitnami "github.com/anchore/syft/syft/pkg/cataloger/bitnami"
	"github.com/anchore/syft/syft/pkg/cataloger/conda"
	"github.com/anchore/syft/syft/pkg/cataloger/cpp"
	"github.com/anchore/syft/syft/pkg/cataloger/debian"
	"github.com/anchore/syft/syft/pkg/cataloger/dotnet"
	"github.com/anchore/syft/syft/pkg/cataloger/gentoo"
	"github.com/anchore/syft/syft/pkg/cataloger/golang"
	"github.com/anchore/syft/syft/pkg/cataloger/homebrew"
	"github.com/anchore/syft/syft/pkg/cataloger/java"
	"github.com/anchore/syft/syft/pkg/cataloger/javascript"
	"github.com/anchore/syft/syft/pkg/cataloger/kernel"
	"github.com/anchore/syft/syft/pkg/cataloger/lua"
	"github.com/anchore/syft/syft/pkg/cataloger/nix"
	"github.com/anchore/syft/syft/pkg/cataloger/perl"
	"github.com/anchore/syft/syft/pkg/cataloger/php"
	"github.com/anchore/syft/syft/pkg/cataloger/python"
	"github.com/anchore/syft/syft/pkg/cataloger/r"
	"github.com/anchore/syft/syft/pkg/cataloger/redhat"
	"github.com/anchore/syft/syft/pkg/cataloger/ruby"
	"github.com/anchore/syft/syft/pkg/cataloger/rust"
	"github.com/anchore/syft/syft/pkg/cataloger/snap"
	"github.com/anchore/syft/syft/pkg/cataloger/wordpress"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/layers"
)

// catalogers are all that Syft runs over images by itself, and the one of conda: Syft leaves what conda has installed out of
// images, and it is as much a list of packages as any other. A test holds the list against Syft's own.
func catalogers() []pkg.Cataloger {
	c := pkgcataloging.DefaultConfig()
	return []pkg.Cataloger{
		arch.NewDBCataloger(), alpine.NewDBCataloger(), debian.NewDBCataloger(), gentoo.NewPortageCataloger(), redhat.NewDBCataloger(),
		cpp.NewConanInfoCataloger(), javascript.NewPackageCataloger(), php.NewComposerInstalledCataloger(), r.NewPackageCataloger(),
		ruby.NewInstalledGemSpecCataloger(), rust.NewAuditBinaryCataloger(), php.NewPearCataloger(),
		dotnet.NewDotnetDepsBinaryCataloger(c.Dotnet), dotnet.NewDotnetPackagesLockCataloger(), python.NewInstalledPackageCataloger(),
		golang.NewGoModuleBinaryCataloger(c.Golang), java.NewArchiveCataloger(c.JavaArchive), java.NewNativeImageCataloger(),
		nix.NewCataloger(c.Nix), lua.NewPackageCataloger(), perl.NewCpanInstalledCataloger(), binary.NewClassifierCataloger(c.Binary),
		binary.NewELFPackageCataloger(), binary.NewPEPackageCataloger(), java.NewJvmDistributionCataloger(),
		kernel.NewLinuxKernelCataloger(c.LinuxKernel), php.NewInterpreterCataloger(), bitnami.NewCataloger(),
		wordpress.NewWordpressPluginCataloger(), homebrew.NewCataloger(), apple.NewAppBundleCataloger(), conda.NewCondaMetaCataloger(),
		snap.NewCataloger(), ai.NewGGUFCataloger(), ai.NewSafeTensorsCataloger(),
	}
}

// needs are the catalogers that look into each program, and what a program must have for them to find anything.
var needs = map[string]layers.Traits{
	"go-module-binary-cataloger":       layers.GoInfo,
	"cargo-auditable-binary-cataloger": layers.RustInfo,
	"elf-binary-package-cataloger":     layers.Note,
	"graalvm-native-image-cataloger":   layers.NativeImage,
	"dotnet-deps-binary-cataloger":     layers.Bundle,
}

// looksFor is what is in all paths that interest a cataloger which asks for all files.
var looksFor = map[string]string{"nix-cataloger": "nix/store/"}

// programTypes are the types of files that catalogers look for.
var programTypes = map[string]bool{
	"application/x-executable": true, "application/x-mach-binary": true, "application/x-elf": true, "application/x-sharedlib": true,
	"application/vnd.microsoft.portable-executable": true,
}
