/** Whether the key before was `g`: then the next one leads to a screen, and does nothing else. */
export const chord = { going: false };
