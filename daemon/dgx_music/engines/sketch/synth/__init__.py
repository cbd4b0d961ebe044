"""Instruments made with numpy alone."""
