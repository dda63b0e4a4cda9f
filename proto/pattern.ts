/** Regular expressions that users write in a configuration, in the syntax of RE2. One place, so that the engine can change. */

/** A compiled pattern. */
export interface Pattern {
  readonly source: string
  /** Names of its groups, in order; undefined for one without. */
  readonly groups: readonly (string | undefined)[]
  matches(text: string): boolean
  /** What each group matched, in order, '' for one that took no part; undefined when the text does not match. */
  extract(text: string): readonly string[] | undefined
  /** The text with all that matches replaced by what `by` makes of it; an empty match right behind another counts not. */
  replace(text: string, by: (match: string) => string): string
}

/** Compiles a pattern. @throws SyntaxError saying what is wrong with it */
export function compilePattern(source: string): Pattern {
  let flags = ''
  const body = source
    .replace(/^\(\?([ims]+)\)/, (_, letters: string) => {
      flags = letters
      return ''
    })
    .replaceAll('(?P<', '(?<')
  const expression = regExp(body, flags)
  const count = (new RegExp(`${expression.source}|`, expression.flags).exec('')?.length ?? 1) - 1
  return {
    source,
    groups: groupNames(body, count),
    matches: text => expression.test(text),
    extract: text =>
      expression
        .exec(text)
        ?.slice(1)
        .map(group => group ?? ''),
    replace: (text, by) => (expression.test(text) ? replaceAll(text, expression, by) : text),
  }
}

function replaceAll(text: string, expression: RegExp, by: (match: string) => string): string {
  let out = ''
  let copied = -1
  for (const found of text.matchAll(new RegExp(expression, `${expression.flags}g`))) {
    const [match] = found
    if (match === '' && found.index === copied) continue
    out += text.slice(Math.max(copied, 0), found.index) + by(match)
    copied = found.index + match.length
  }
  return out + text.slice(Math.max(copied, 0))
}

/** With the `u` flag text is matched by character, as in RE2; but that flag refuses harmless escapes such as `\-`. */
function regExp(body: string, flags: string): RegExp {
  try {
    return new RegExp(body, `${flags}u`)
  } catch {
    return new RegExp(body, flags)
  }
}

/** Names of the groups in the order of their opening brackets. */
function groupNames(body: string, count: number): (string | undefined)[] {
  const names: (string | undefined)[] = []
  // An escape, a character class, or a bracket that opens a group: with a name, without, or of another kind.
  for (const [token, name] of body.matchAll(/\\.|\[(?:\\.|[^\]\\])*\]|\(\?<([A-Za-z_$][\w$]*)>|\(\?|\(/g)) {
    if (name !== undefined) names.push(name)
    else if (token === '(') names.push(undefined)
  }
  return names.slice(0, count)
}
