/** Durations as they are written. */

const units = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

/** Milliseconds as a duration: `1h30m`, `5s`, `200ms`, `50us`. */
export function durationText(milliseconds: number): string {
  if (milliseconds === 0) return '0s'
  if (milliseconds < 0) return `-${durationText(-milliseconds)}`
  if (milliseconds < 1) return belowOne(milliseconds)
  if (milliseconds < 1000) return `${milliseconds}ms`
  let rest = milliseconds
  let text = ''
  for (const [unit, size] of units) {
    const count = unit === 's' ? Number((rest / size).toFixed(9)) : Math.floor(rest / size)
    if (count > 0) text += `${count}${unit}`
    rest -= count * size
  }
  return text
}

function belowOne(milliseconds: number): string {
  const micro = milliseconds * 1000
  return micro >= 1 ? `${Number(micro.toFixed(3))}us` : `${Number((micro * 1000).toFixed(6))}ns`
}
