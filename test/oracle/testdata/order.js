const semver = require(process.argv[2])
const answer = (line) => {
  const [a, b] = line.split('\t')
  try {
    return ['<', '=', '>'][semver.compare(a, b) + 1]
  } catch {
    return '?'
  }
}
const lines = require('fs').readFileSync(0, 'utf8').split('\n').slice(0, -1)
process.stdout.write(lines.map((line) => answer(line) + '\n').join(''))
