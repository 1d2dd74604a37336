//! Journeys across programs.
