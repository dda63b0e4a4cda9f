/** What is wrong with a pattern, in words that help, and where in it. */

/** What the engine says: the kind of mistake, and the part of the pattern it is in. */
export interface Refusal {
  readonly error: string
  readonly input: string | null
}

/** The most places that are tried to find where a mistake is. */
const mostTries = 300

/** Says what is wrong and where; `refusal` is what the engine says of another pattern, undefined where it takes it. */
export function patternProblem(
  source: string,
  found: Refusal,
  refusal: (source: string) => Refusal | undefined,
): string {
  const at = placeOf(source, found, refusal)
  const rest = source.slice(at)
  const hint = hintFor(rest)
  const what = found.error.replace(/^.*\/syntax: /, '')
  const part = hint?.part ?? (found.input === null || found.input === source ? rest.slice(0, 1) : found.input)
  const shown = part.length > 40 ? `${part.slice(0, 40)}…` : part
  return `${hint?.what ?? what}: \`${shown}\` at character ${at + 1}`
}

/** What other engines take and RE2 does not, because it cannot be told in linear time. */
function hintFor(rest: string): { what: string; part: string } | undefined {
  for (const [start, name] of lookAround) {
    if (rest.startsWith(start)) return { what: `${name} is not part of RE2's syntax`, part: start }
  }
  const reference = /^\\(?:[1-9]|k<[^>]{0,40}>)|^\(\?P=[^)]{0,40}\)?/.exec(rest)
  if (reference !== null) return { what: "back-references are not part of RE2's syntax", part: reference[0] }
  if (rest.startsWith('(?>')) return { what: "atomic groups are not part of RE2's syntax", part: '(?>' }
  return undefined
}

const lookAround = [
  ['(?=', 'look-ahead'],
  ['(?!', 'look-ahead'],
  ['(?<=', 'look-behind'],
  ['(?<!', 'look-behind'],
] as const

function placeOf(source: string, found: Refusal, refusal: (source: string) => Refusal | undefined): number {
  const same = (one: Refusal | undefined): boolean => one?.error === found.error
  if (found.error === 'missing closing )') {
    // The first bracket that stays open is the last one before which all are closed.
    return lastOf(places(source, '('), at => refusal(source.slice(0, at)) === undefined)
  }
  if (found.error === 'unexpected )') return firstOf(places(source, ')'), at => same(refusal(source.slice(0, at + 1))))
  if (found.error.startsWith('trailing backslash')) return source.length - 1
  const { input } = found
  if (input === null || input === '' || input === source) return 0
  // The same may stand elsewhere and be right there: the engine, which reads from the left, then has nothing against it.
  return firstOf(places(source, input), at => {
    const one = refusal(source.slice(0, at + input.length + 1))
    return same(one) && one?.input === input
  })
}

/** Where `part` stands in the pattern. */
function places(source: string, part: string): number[] {
  const found: number[] = []
  for (let at = source.indexOf(part); at >= 0 && found.length < mostTries; at = source.indexOf(part, at + 1)) {
    found.push(at)
  }
  return found
}

const firstOf = (among: readonly number[], is: (at: number) => boolean): number => among.find(is) ?? among[0] ?? 0
const lastOf = (among: readonly number[], is: (at: number) => boolean): number => among.findLast(is) ?? among[0] ?? 0
