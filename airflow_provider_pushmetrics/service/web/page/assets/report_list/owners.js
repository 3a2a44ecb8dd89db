// How the owners of reports are called in their list.

/**
 * Name people by their mail addresses without what is the same for all of a company; by the whole ones where several of
 * them would have the same name.
 *
 * @param {readonly (string | null)[]} addresses
 * @returns {Map<string, string>} The name of each.
 */
export function nameOwners(addresses) {
  const known = new Set(addresses.filter((address) => address !== null));
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const address of known) {
    const name = shorten(address);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return new Map(
    [...known].map((address) => {
      const name = shorten(address);
      return [address, counts.get(name) === 1 ? name : address];
    }),
  );
}

/** @param {string} address */
const shorten = (address) => address.split("@", 1)[0];
