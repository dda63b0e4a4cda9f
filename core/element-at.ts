/** What stands at a place of a list that the code around it knows to be there. */
import { InternalError } from './errors.ts'

/**
 * The element at `index`, which is known to be there: a list that is never empty, a list made one for one of another. Not
 * for the hottest code, where one function for all kinds of lists costs.
 * @throws InternalError when it is not
 */
export function elementAt<T>(list: ArrayLike<T>, index: number): T {
  const element = list[index]
  if (element === undefined) throw new InternalError(`there is no element ${index} in a list of ${list.length}`)
  return element
}
