/** The word a user probably meant. */

/** No way leads over what is outside of the table. */
const stepsAt = (row: readonly number[], j: number): number => row[j] ?? Infinity

/** Steps (insert, delete, replace, swap neighbours) from one word to the other, counted up to `limit` + 1. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      row[j] = Math.min(stepsAt(last, j) + 1, stepsAt(row, j - 1) + 1, stepsAt(last, j - 1) + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) row[j] = Math.min(stepsAt(row, j), stepsAt(beforeLast, j - 2) + 1)
    }
    beforeLast = last
    last = row
  }
  return stepsAt(last, b.length)
}

/** How a word looks when case and separators do not count. */
const plain = (word: string) => word.toLowerCase().replaceAll(/[-_./ ]/g, '')

/** The candidate nearest to `word`, if one is close enough to be what was meant. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = plain(word)
  let best: string | undefined
  // A third of the word may be wrong: with more, the suggestion is a guess.
  let bestDistance = Math.floor(Math.max(wanted.length, 2) / 3 + 0.7) + 1
  for (const candidate of candidates) {
    if (candidate === word) continue
    const there = distance(wanted, plain(candidate), bestDistance)
    if (there < bestDistance) {
      best = candidate
      bestDistance = there
    }
  }
  return best
}

/** "did you mean `x`?", or what else there is, or nothing. */
export function suggest(word: string, candidates: readonly string[], otherwise?: string): string | undefined {
  const meant = nearest(word, candidates)
  return meant === undefined ? otherwise : `did you mean \`${meant}\`?`
}

/** Words in backticks, joined with commas. */
export function quoted(words: Iterable<string>): string {
  return [...words].map(word => `\`${word}\``).join(', ')
}
